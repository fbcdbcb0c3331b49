#!/usr/bin/env bash
# SLURM for the tests, from Debian's packages; nothing where it is installed already. With
# "accounting" also what sacct needs.
set -euo pipefail
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
programs=(slurmctld slurmd sbatch munged) packages=(slurm-wlm munge)
if [[ ${1:-} == accounting ]]; then
  programs+=(slurmdbd mariadbd) packages+=(slurmdbd mariadb-server)
fi
for program in "${programs[@]}"; do
  command -v "$program" > /dev/null || missing=yes
done
[[ -z ${missing:-} ]] && exit
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }
as_root apt-get update -qq
as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" > /dev/null
