"""The commands that work with what a training has left: a checkpoint or a run folder."""
