# shellcheck shell=bash
# Shared by hosts-up and hosts-down (sourced after common.sh): where a bed of hosts keeps what, and how it is taken away.
# State of a bed, below HOSTS_RUN: name, count, and for each host a folder by number with its engine's state and its address.
HOSTS_RUN="${HOSTS_RUN:-$TESTBED_DIR/run/hosts}"
CGROUPS=/sys/fs/cgroup
HOSTS_BEDS=/run/cwhisk-hosts # of all beds: for which process, and where

# Folders of the hierarchies that the hosts have groups in: the only one of version 2, or those of version 1 that limit.
hosts_hierarchies() {
    if [ -e "$CGROUPS/cgroup.controllers" ]; then echo "$CGROUPS"; else echo "$CGROUPS/cpu $CGROUPS/memory"; fi
}

# hosts_groups NAME: all its groups in all hierarchies, the innermost first. (Engines make some in the others, too.)
hosts_groups() {
    local root
    for root in "$CGROUPS"/*/"$1" "$CGROUPS/$1"; do
        [ ! -d "$root" ] || find "$root" -depth -type d 2>/dev/null || true # some may go meanwhile
    done
}

# hosts_pids NAME [NUMBER]: the processes of the bed, or of one host.
hosts_pids() {
    local h
    for h in $(hosts_hierarchies); do
        find "$h/$1${2:+/$2}" -name cgroup.procs -exec cat {} + 2>/dev/null || true
    done | sort -u
}

# hosts_end NAME [NUMBER]: SIGKILL of all of them, until there are none.
hosts_end() {
    local n pids
    for n in $(seq 100); do
        pids="$(hosts_pids "$@")"
        [ -n "$pids" ] || return 0
        # shellcheck disable=SC2086 # words are wanted
        kill -KILL $pids 2>/dev/null || true
        [ "$n" -lt 3 ] || sleep 0.1
    done
    echo "hosts: processes $pids do not end" >&2
}

# hosts_umount FOLDER: whatever is mounted below it.
hosts_umount() {
    local at
    awk -v below="$1/" 'index($2, below) == 1 { print $2 }' /proc/self/mounts | sort -r | while read -r at; do umount -l "$at" || true; done
}

# hosts_rules NAME: the rules of this machine's firewall that say so, as arguments that remove them.
hosts_rules() { iptables -w -t nat -S | sed -n "s/^-A \(.*--comment $1 .*\)/\1/p"; }

# hosts_born PID: when it was started, so that another process with this id is told from it.
hosts_born() { awk '{ sub(/.*\) /, ""); print $20 }' "/proc/$1/stat" 2>/dev/null; }

# hosts_sweep HOSTS_DOWN: takes down the beds of processes that are no more.
hosts_sweep() {
    local bed pid born where
    for bed in "$HOSTS_BEDS"/*; do
        read -r pid born where <"$bed" 2>/dev/null || continue
        [ -n "$born" ] && [ "$(hosts_born "$pid")" != "$born" ] || continue
        if [ -e "$where/name" ]; then HOSTS_WIPE=1 HOSTS_RUN="$where" "$1" >/dev/null; else rm -f "$bed"; fi
    done
}
