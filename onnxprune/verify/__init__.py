"""Translation validation: the masked reference, equivalence, fidelity, measured speed."""
