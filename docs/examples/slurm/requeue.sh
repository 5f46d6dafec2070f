#!/bin/bash
# Two machines with four GPUs each. The job stops before its time is up, goes back into the queue
# and resumes the same run. Submit it with: sbatch requeue.sh
#SBATCH --job-name=faces
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=4
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=8
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --signal=SIGUSR1@180

source "$SLURM_SUBMIT_DIR/environment.sh"

srun --kill-on-bad-exit=1 lightning-gans fit --config wdcgan_gp_folder --data.path photos \
    --name faces --ckpt_path auto \
    --trainer.num_nodes $SLURM_NNODES --trainer.devices 4
