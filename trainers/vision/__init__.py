"""Parts that the vision trainers share. Torch is imported by its modules, so nothing imports them before a worker prepares."""
