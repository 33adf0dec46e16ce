#!/bin/sh
# The first process of the emulated machine: sets it up, runs what /project/command says, and switches the machine off.
export PATH=/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2>/dev/null
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
mkdir -p /run/lock
# Python keeps what it compiled there; the disk is this run's own.
mount -o remount,rw /project
modprobe tun
ip link set lo up
cd /project
export PYTHONPATH=/project HYPOTHESIS_STORAGE_DIRECTORY=/tmp/hypothesis
export PIXLSRVE_TEST_PLACES=/project/places PIXLSRVE_TEST_PATIENCE=8
sh ./command >/dev/ttyS1 2>&1
echo "stage ended with $?" >/dev/ttyS1
sync
echo o >/proc/sysrq-trigger
while :; do sleep 1; done
