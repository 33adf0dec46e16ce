#!/bin/sh
# What a unit's processes hold, as lines of `name value`: `measure UNIT`. Sizes are in bytes, those of pages in kB.
group=/sys/fs/cgroup/system.slice/$1
for name in current peak; do echo "$name $(cat "$group/memory.$name")"; done
sed 's/^/events./' "$group/memory.events"
grep -E '^(anon|file|kernel|shmem|slab_reclaimable|slab_unreclaimable) ' "$group/memory.stat" | sed 's/^/stat./'
for pid in $(cat "$group/cgroup.procs"); do
    awk -v pid="$pid" '/^Rss:/ { rss = $2 } /^Pss:/ { pss = $2 } END { print "process", pid, rss, pss }' \
        "/proc/$pid/smaps_rollup" 2>/dev/null
done
awk '/^(MemTotal|MemAvailable|Slab):/ { sub(":", ""); print "machine." $1, $2 }' /proc/meminfo
sed -n 's/^oom_kill /machine.oom_kill /p' /proc/vmstat
