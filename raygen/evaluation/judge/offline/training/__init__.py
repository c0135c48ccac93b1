"""How an offline judge is trained: texts, faults put into them by script, and the fit."""
