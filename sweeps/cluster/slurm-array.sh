#!/bin/bash
# A Slurm array: each task trains one shard of a sweep.
#
#     sbatch --array=1-16 slurm-array.sh SWEEP 16
#
# Before the time is over superpos is told to stop, and keeps what it has; one that is preempted is
# queued again by Slurm. To continue send the same again: what is finished ends at once.
#
#SBATCH --job-name=superpos
#SBATCH --ntasks=1
#SBATCH --gpus=1
#SBATCH --time=01:00:00
#SBATCH --signal=B:TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%A-%a.log

# `exec`, so that the signal goes to superpos.
exec superpos run "$1" --shard "$SLURM_ARRAY_TASK_ID/$2"
