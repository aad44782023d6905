"""One record of a run, and its renderings: JSON, and tables for people."""
