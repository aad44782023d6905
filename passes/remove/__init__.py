"""remove"""
