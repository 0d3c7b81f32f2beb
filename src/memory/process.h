// What the kernel says of this process: /proc/self/status. The peak is the kernel's high-water
// mark, not a reading taken when a request is over.
#pragma once

#include "base/result.h"

namespace dermlens {

struct ProcessMemory {
  Bytes rss = 0;       // VmRSS
  Bytes peak_rss = 0;  // VmHWM
  Bytes virtual_size = 0;
  Bytes anon = 0;    // RssAnon: what nobody can take back from us
  Bytes file = 0;    // RssFile: mapped files, reclaimable
  Bytes shared = 0;  // RssShmem: tmpfs, counted as anonymous by control groups
  int threads = 0;
};

// All zeros where /proc is not mounted.
ProcessMemory read_process_memory();

// Bytes that the kernel has fetched from a disk for this process (/proc/self/io), those of mapped
// files included; 0 where it does not count them.
Bytes read_from_disk();

// Starts the high-water mark anew at the present RSS (/proc/self/clear_refs); false if forbidden.
bool reset_peak_rss();

// Hands freed heap pages back to the system, and the pages of libraries' code, which come back from
// the page cache when they are run again. For when much was freed at once, not for every request.
void trim_heap();

// Pins glibc's allocator to what a planned process needs, once, at the start of main: two arenas,
// and every block of 64 KiB or more mapped on its own, so that freeing it gives it back at once
// and the threshold does not creep upwards. And pins the kernel to small pages: else, as the page
// cache happens to hold a file, reading one byte of it may map 2 MB.
void pin_allocator();

}  // namespace dermlens
