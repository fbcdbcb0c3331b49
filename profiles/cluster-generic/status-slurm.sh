#!/usr/bin/env bash
# How a job of SLURM is: prints running, success or failed. Usage: status-slurm.sh NUMBER
state=$(squeue --noheader --states=all --format=%T --jobs "$1" 2> /dev/null)
if [[ -z $state ]]; then
  # Forgotten MinJobAge after its end, or the controller does not answer: accounting may know.
  state=$(sacct --allocations --noheader --format=State%40 --jobs "$1" 2> /dev/null)
  if [[ -z $state ]]; then
    # Without accounting: what cannot be told apart from a failure is made again.
    if squeue --me &> /dev/null; then echo failed; else echo running; fi
    exit
  fi
fi
case ${state// /} in
  COMPLETED*) echo success ;;
  BOOT_FAIL* | CANCELLED* | DEADLINE* | FAILED* | NODE_FAIL* | OUT_OF_MEMORY* | PREEMPTED* | REVOKED* | TIMEOUT*) echo failed ;;
  *) echo running ;;
esac
