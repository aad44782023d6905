"""What the compiler knows of operators: signatures, rewrites, masked forms; a file a family."""
