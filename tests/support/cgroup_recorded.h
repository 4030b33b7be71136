/* tests/support/cgroup_recorded.h -- files of groups as kernels wrote them: version 1 by
 * Linux 6.18, version 2 by Linux 6.1 (a container that was throttled, with three megabytes in a
 * tmpfs). */
#pragma once

/* clang-format off */
#define V1_CPU \
    "3014729871\n"
#define V1_MEMORY \
    "7507968\n"
#define V1_MEMORY_STAT \
    "cache 11472896\n" \
    "rss 16154624\n" \
    "rss_huge 0\n" \
    "shmem 8998912\n" \
    "mapped_file 7618560\n" \
    "dirty 24576\n" \
    "writeback 0\n" \
    "workingset_refault_anon 0\n" \
    "workingset_refault_file 8286\n" \
    "swap 0\n" \
    "swapcached 0\n" \
    "pgpgin 199189\n" \
    "pgpgout 192444\n" \
    "pgfault 344722\n" \
    "pgmajfault 0\n" \
    "inactive_anon 0\n" \
    "active_anon 1531904\n" \
    "inactive_file 53248\n" \
    "active_file 2420736\n" \
    "unevictable 23621632\n" \
    "hierarchical_memory_limit 9223372036854771712\n" \
    "hierarchical_memsw_limit 9223372036854771712\n" \
    "total_cache 4194304\n" \
    "total_rss 2297856\n" \
    "total_rss_huge 0\n" \
    "total_shmem 3145728\n" \
    "total_mapped_file 120995840\n" \
    "total_dirty 180224\n" \
    "total_writeback 0\n" \
    "total_workingset_refault_anon 0\n" \
    "total_workingset_refault_file 3782580\n" \
    "total_swap 0\n" \
    "total_swapcached 0\n" \
    "total_pgpgin 1122342125\n" \
    "total_pgpgout 1121656445\n" \
    "total_pgfault 1438318347\n" \
    "total_pgmajfault 66771\n" \
    "total_inactive_anon 85647360\n" \
    "total_active_anon 1732608\n" \
    "total_inactive_file 1048576\n" \
    "total_active_file 1700741120\n" \
    "total_unevictable 23621632\n"
#define V1_PEAK \
    "9052160\n"
#define V1_THROTTLE \
    "nr_periods 31\n" \
    "nr_throttled 30\n" \
    "throttled_time 2369597123\n" \
    "nr_bursts 0\n" \
    "burst_time 0\n"
#define V1_OOM \
    "oom_kill_disable 0\n" \
    "under_oom 0\n" \
    "oom_kill 2\n"
#define V1_IO_BYTES \
    "254:0 Read 4096\n" \
    "254:0 Write 8192\n" \
    "254:0 Sync 12288\n" \
    "254:0 Async 0\n" \
    "254:0 Discard 0\n" \
    "254:0 Total 12288\n" \
    "254:16 Read 1000\n" \
    "254:16 Write 0\n" \
    "254:16 Sync 1000\n" \
    "254:16 Async 0\n" \
    "254:16 Discard 0\n" \
    "254:16 Total 1000\n" \
    "Total 13288\n"
#define V1_IO_COUNT \
    "254:0 Read 1\n" \
    "254:0 Write 2\n" \
    "254:0 Sync 3\n" \
    "254:0 Async 0\n" \
    "254:0 Discard 0\n" \
    "254:0 Total 3\n" \
    "254:16 Read 1\n" \
    "254:16 Write 0\n" \
    "Total 4\n"
#define V1_PIDS \
    "3\n"
#define V2_CPU \
    "usage_usec 620723\n" \
    "user_usec 565722\n" \
    "system_usec 55000\n" \
    "nr_periods 31\n" \
    "nr_throttled 30\n" \
    "throttled_usec 2369597\n" \
    "nr_bursts 0\n" \
    "burst_usec 0\n"
#define V2_MEMORY \
    "3334144\n"
#define V2_MEMORY_STAT \
    "anon 77824\n" \
    "file 3145728\n" \
    "kernel 102400\n" \
    "kernel_stack 16384\n" \
    "pagetables 24576\n" \
    "sec_pagetables 0\n" \
    "percpu 0\n" \
    "sock 0\n" \
    "vmalloc 0\n" \
    "shmem 3145728\n" \
    "file_mapped 0\n" \
    "file_dirty 0\n" \
    "file_writeback 0\n" \
    "swapcached 0\n" \
    "anon_thp 0\n" \
    "file_thp 0\n" \
    "shmem_thp 0\n" \
    "inactive_anon 3166208\n" \
    "active_anon 4096\n" \
    "inactive_file 0\n" \
    "active_file 0\n" \
    "unevictable 0\n" \
    "slab_reclaimable 13272\n" \
    "slab_unreclaimable 23392\n" \
    "slab 36664\n" \
    "workingset_refault_anon 0\n" \
    "workingset_refault_file 0\n" \
    "workingset_activate_anon 0\n" \
    "workingset_activate_file 0\n" \
    "workingset_restore_anon 0\n" \
    "workingset_restore_file 0\n" \
    "workingset_nodereclaim 0\n" \
    "pgscan 0\n" \
    "pgsteal 0\n" \
    "pgscan_kswapd 0\n" \
    "pgscan_direct 0\n" \
    "pgsteal_kswapd 0\n" \
    "pgsteal_direct 0\n" \
    "pgfault 509\n" \
    "pgmajfault 0\n" \
    "pgrefill 0\n" \
    "pgactivate 0\n" \
    "pgdeactivate 0\n" \
    "pglazyfree 0\n" \
    "pglazyfreed 0\n" \
    "thp_fault_alloc 0\n" \
    "thp_collapse_alloc 0\n"
#define V2_PEAK \
    "4456448\n"
#define V2_EVENTS \
    "low 0\n" \
    "high 0\n" \
    "max 0\n" \
    "oom 0\n" \
    "oom_kill 0\n" \
    "oom_group_kill 0\n"
#define V2_PIDS \
    "3\n"
#define V2_IO \
    "254:0 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=0 dios=0\n" \
    "254:16 254:32 rbytes=1000 wbytes=0 rios=1 wios=0 dbytes=0 dios=0\n"
#define PROC_STAT \
    "cpu  64 0 160 297 0 0 0 0 0 0\n" \
    "cpu0 64 0 160 297 0 0 0 0 0 0\n" \
    "intr 112534106 0 0 0 0 0\n"
#define PROC_MEMINFO \
    "MemTotal:         480284 kB\n" \
    "MemFree:          448712 kB\n" \
    "MemAvailable:     448440 kB\n"
#define PSI_CPU \
    "some avg10=19.23 avg60=3.62 avg300=0.76 total=3203351\n" \
    "full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
#define PSI_MEMORY \
    "some avg10=1.92 avg60=1.20 avg300=0.90 total=769803728\n" \
    "full avg10=0.07 avg60=0.05 avg300=0.18 total=93968264\n"
/* clang-format on */
