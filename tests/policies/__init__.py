"""Random policies and requests, for properties of our evaluator and to compare it with another."""
