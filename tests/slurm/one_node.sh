#!/bin/bash
# Starts a Slurm of one node on this machine, for trying `cargo xtask experiment … --launcher slurm`.
# Debian or Ubuntu, as root, outside systemd and cgroups (a container will do):
#   apt-get install slurm-wlm munge
#   tests/slurm/one_node.sh
# It writes /etc/slurm/slurm.conf anew and keeps the old one beside it.
set -euo pipefail
host=$(hostname -s)
memory=$(awk '/MemAvailable/ { print int($2 / 1024 / 2) }' /proc/meminfo)
mkdir -p /etc/slurm /etc/munge /run/munge /var/log/munge /var/lib/munge
mkdir -p /var/spool/slurmctld /var/spool/slurmd /var/log/slurm
if ! pgrep -x munged > /dev/null; then
  [ -s /etc/munge/munge.key ] || dd if=/dev/urandom of=/etc/munge/munge.key bs=1024 count=1 status=none
  chown -R munge: /etc/munge /run/munge /var/log/munge /var/lib/munge
  chmod 400 /etc/munge/munge.key
  chmod 755 /run/munge
  su -s /bin/bash munge -c /usr/sbin/munged
fi
pkill -x slurmctld || true
pkill -x slurmd || true
[ ! -e /etc/slurm/slurm.conf ] || cp --backup=numbered /etc/slurm/slurm.conf /etc/slurm/slurm.conf.before
cat > /etc/slurm/slurm.conf <<CONF
ClusterName=one
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
MpiDefault=none
KillWait=10
StateSaveLocation=/var/spool/slurmctld
SlurmdSpoolDir=/var/spool/slurmd
SlurmctldLogFile=/var/log/slurm/slurmctld.log
SlurmdLogFile=/var/log/slurm/slurmd.log
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=$memory
PartitionName=all Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF
slurmctld
slurmd
for _ in $(seq 30); do
  if [ "$(sinfo --noheader --format %t 2> /dev/null)" = idle ]; then
    sinfo
    exit 0
  fi
  sleep 1
done
echo "the node is not idle after 30 s; see /var/log/slurm" >&2
exit 1
