"""Image data sets for the trainers, each ending in one verified file of uint8 arrays. No torch is needed to read one."""
