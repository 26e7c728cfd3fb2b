"""Whether this machine is fit to be timed: what is looked at, and what each sight means. Importing this loads nothing heavy."""
