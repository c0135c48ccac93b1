"""A controller runtime for any kind: watches, stores, a queue, election, events, health."""
