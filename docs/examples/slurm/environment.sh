# Activates the environment of a job. Every script in this folder reads it.
# Set VENV to your virtual environment; for conda, put `conda activate NAME` here instead.
VENV="${VENV:-$SLURM_SUBMIT_DIR/.venv}"
source "$VENV/bin/activate"

# Compute nodes often have no network: record W&B runs there, and upload them later.
export WANDB_MODE="${WANDB_MODE:-offline}"
