"""How any kind is described: fields, rules, faults and their words, JSON Schema and CRD."""
