"""What is done in attempts, each of them a RayJob: the plan for one object, and one module for each policy in it."""
