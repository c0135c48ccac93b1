"""What may go into a model and come out of it: prompt templates, filters of prompts and outputs, and prompts that try them."""
