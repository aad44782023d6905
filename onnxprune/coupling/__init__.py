"""The dependency graph over dims and operators: coupling groups, kinds, reasons, explanations."""
