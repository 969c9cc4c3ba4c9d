// SPDX-License-Identifier: Apache-2.0
// A disk that can be told to fail, preloaded under a process (LD_PRELOAD): LevelDB's calls pass through it like ours.
//
// Every call on a file below FAULTFS_ROOT (absolute paths only; nothing else is touched) has a number, from 0. With
// FAULTFS_JOURNAL each call that was carried out is written down with its bytes, so that tests.chaos.faultfs.disk can
// rebuild what a disk holds after a crash at any of them. faultfs_arm makes the calls of a range misbehave.
//
// Journal: records of `struct record`, followed by path, second path and data, in the byte order of this machine.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { MAX_FD = 65536 };
enum action { PASS, FAIL, FAIL_AFTER, TORN, SHORT, KILL, KILL_AFTER, KILL_TORN, TERM, DELAY };

struct record {
  uint32_t op, flags;
  int64_t fd, offset;
  uint32_t path_bytes, second_bytes;
  uint64_t data_bytes;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char root[4096];
static size_t root_bytes;
static int journal = -1;
static char tracked[MAX_FD];
static long calls, first = 1, last;
static int action, failure;
static char which[64];
static long quota = -1;

static void note(char op, uint32_t flags, int64_t fd, int64_t offset, const char *path, const char *second,
                 const void *data, size_t bytes) {
  if (journal < 0) return;
  struct record head = {(uint32_t)op, flags, fd, offset, path ? strlen(path) : 0, second ? strlen(second) : 0, bytes};
  struct iovec parts[] = {{&head, sizeof head}, {(void *)path, head.path_bytes}, {(void *)second, head.second_bytes},
                          {(void *)data, bytes}};
  ssize_t want = sizeof head + head.path_bytes + head.second_bytes + bytes;
  if (syscall(SYS_writev, journal, parts, 4) != want) abort();
}

// Begin a call with the lock held: its number is taken, and what happens to it is decided.
static int enter(char op) {
  pthread_mutex_lock(&lock);
  long number = calls++;
  if (number < first || number > last || (which[0] && !strchr(which, op))) return PASS;
  if (action == KILL) kill(getpid(), SIGKILL);
  if (action == TERM) kill(getpid(), SIGTERM);
  if (action == DELAY) usleep(failure);
  return action;
}

static long leave(int done, long result, int error) {
  pthread_mutex_unlock(&lock);
  if (done == KILL_AFTER || done == KILL_TORN) kill(getpid(), SIGKILL);
  if (done == FAIL_AFTER || done == TORN) error = failure, result = -1;
  if (result < 0) errno = error;
  return result;
}

static long refuse(void) { return leave(PASS, -1, failure); }

static int below(const char *path) {
  return root_bytes && path && !strncmp(path, root, root_bytes) && (path[root_bytes] == '/' || !path[root_bytes]);
}

static int known(int fd) { return fd >= 0 && fd < MAX_FD && tracked[fd]; }

#define CALL(number, ...) long result = syscall(number, __VA_ARGS__); int error = errno

void faultfs_arm(long from, long to, int what, int number, const char *ops) {
  pthread_mutex_lock(&lock);
  first = from, last = to, action = what, failure = number;
  snprintf(which, sizeof which, "%s", ops);
  pthread_mutex_unlock(&lock);
}

long faultfs_calls(int restart) {
  pthread_mutex_lock(&lock);
  long now = calls;
  if (restart) calls = 0;
  pthread_mutex_unlock(&lock);
  return now;
}

// So many bytes can still be written; -1 for no limit.
void faultfs_quota(long bytes) { quota = bytes; }

// Write into the journal what the process knows at this moment.
void faultfs_note(const void *data, size_t bytes) {
  pthread_mutex_lock(&lock);
  note('N', 0, -1, 0, NULL, NULL, data, bytes);
  pthread_mutex_unlock(&lock);
}

// Begin as the environment says; a process that was forked calls it again, with an environment of its own.
__attribute__((constructor)) void faultfs_start(void) {
  const char *where = getenv("FAULTFS_ROOT"), *record = getenv("FAULTFS_JOURNAL"), *arm = getenv("FAULTFS_ARM");
  if (!where) return;
  calls = 0;
  root_bytes = snprintf(root, sizeof root, "%s", where);
  if (record) journal = syscall(SYS_openat, AT_FDCWD, record, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (arm) sscanf(arm, "%ld:%ld:%d:%d:%63s", &first, &last, &action, &failure, which);
  // Helper processes are not meant.
  unsetenv("FAULTFS_ROOT"), unsetenv("FAULTFS_JOURNAL"), unsetenv("FAULTFS_ARM");
}

static int open_at(int at, const char *path, int flags, mode_t mode) {
  if (!below(path)) return syscall(SYS_openat, at, path, flags, mode);
  int what = enter(flags & (O_CREAT | O_TRUNC) ? 'O' : 'o');
  if (what == FAIL) return refuse();
  CALL(SYS_openat, at, path, flags, mode);
  if (result >= 0) {
    note('O', flags, result, 0, path, NULL, NULL, 0);
    if (result < MAX_FD) tracked[result] = 1;
    if (what == FAIL_AFTER) syscall(SYS_close, result), tracked[result] = 0;
  }
  return leave(what, result, error);
}

static mode_t mode_of(int flags, va_list rest) { return flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, int) : 0; }

#define OPEN(name)                                  \
  int name(const char *path, int flags, ...) {      \
    va_list rest;                                   \
    va_start(rest, flags);                          \
    mode_t mode = mode_of(flags, rest);             \
    va_end(rest);                                   \
    return open_at(AT_FDCWD, path, flags, mode);    \
  }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                     \
  int name(int at, const char *path, int flags, ...) {   \
    va_list rest;                                        \
    va_start(rest, flags);                               \
    mode_t mode = mode_of(flags, rest);                  \
    va_end(rest);                                        \
    return open_at(at, path, flags, mode);               \
  }
OPENAT(openat)
OPENAT(openat64)

int close(int fd) {
  if (known(fd)) {
    pthread_mutex_lock(&lock);
    tracked[fd] = 0;
    note('C', 0, fd, 0, NULL, NULL, NULL, 0);
    pthread_mutex_unlock(&lock);
  }
  return syscall(SYS_close, fd);
}

static ssize_t write_at(int fd, const void *data, size_t bytes, off64_t offset) {
  int what = enter('W');
  if (what == FAIL) return refuse();
  off64_t at = offset >= 0 ? offset : syscall(SYS_lseek, fd, 0, SEEK_CUR);
  if (offset < 0 && fcntl(fd, F_GETFL) & O_APPEND) at = syscall(SYS_lseek, fd, 0, SEEK_END);
  size_t part = what == TORN || what == SHORT || what == KILL_TORN ? bytes / 2 : bytes;
  if (quota >= 0) {
    if (bytes && !quota) return leave(PASS, -1, ENOSPC);
    if (part > (size_t)quota) part = quota;
    quota -= part;
  }
  CALL(SYS_pwrite64, fd, data, part, at);
  if (result > 0) {
    note('W', 0, fd, at, NULL, NULL, data, result);
    if (offset < 0) syscall(SYS_lseek, fd, at + result, SEEK_SET);
  }
  return leave(what, result, error);
}

ssize_t write(int fd, const void *data, size_t bytes) {
  return known(fd) ? write_at(fd, data, bytes, -1) : syscall(SYS_write, fd, data, bytes);
}

#define PWRITE(name)                                                        \
  ssize_t name(int fd, const void *data, size_t bytes, off64_t offset) {    \
    if (known(fd)) return write_at(fd, data, bytes, offset);                \
    return syscall(SYS_pwrite64, fd, data, bytes, offset);                  \
  }
PWRITE(pwrite)
PWRITE(pwrite64)

ssize_t writev(int fd, const struct iovec *parts, int count) {
  if (!known(fd)) return syscall(SYS_writev, fd, parts, count);
  ssize_t total = 0;
  for (int n = 0; n < count; n++) {
    ssize_t done = write_at(fd, parts[n].iov_base, parts[n].iov_len, -1);
    if (done < 0) return total ? total : done;
    total += done;
    if ((size_t)done < parts[n].iov_len) break;
  }
  return total;
}

// The disk under a test need not be waited for: what was synced is what the journal says.
static int sync_of(int fd, long number) {
  if (!known(fd)) return syscall(number, fd);
  int what = enter('S');
  if (what == FAIL || what == TORN) return refuse();
  note('S', 0, fd, 0, NULL, NULL, NULL, 0);
  return leave(what, 0, 0);
}
int fsync(int fd) { return sync_of(fd, SYS_fsync); }
int fdatasync(int fd) { return sync_of(fd, SYS_fdatasync); }

#define TRUNCATE(name)                                          \
  int name(int fd, off64_t length) {                            \
    if (!known(fd)) return syscall(SYS_ftruncate, fd, length);  \
    int what = enter('T');                                      \
    if (what == FAIL) return refuse();                          \
    CALL(SYS_ftruncate, fd, length);                            \
    if (!result) note('T', 0, fd, length, NULL, NULL, NULL, 0); \
    return leave(what, result, error);                          \
  }
TRUNCATE(ftruncate)
TRUNCATE(ftruncate64)

static int name_at(char op, long number, int at, const char *path, int flags) {
  if (!below(path)) return syscall(number, at, path, flags);
  int what = enter(op);
  if (what == FAIL) return refuse();
  CALL(number, at, path, flags);
  if (!result) note(op, flags, -1, 0, path, NULL, NULL, 0);
  return leave(what, result, error);
}
int unlink(const char *path) { return name_at('U', SYS_unlinkat, AT_FDCWD, path, 0); }
int rmdir(const char *path) { return name_at('U', SYS_unlinkat, AT_FDCWD, path, AT_REMOVEDIR); }
int unlinkat(int at, const char *path, int flags) { return name_at('U', SYS_unlinkat, at, path, flags); }
int mkdir(const char *path, mode_t mode) { return name_at('M', SYS_mkdirat, AT_FDCWD, path, mode); }
int mkdirat(int at, const char *path, mode_t mode) { return name_at('M', SYS_mkdirat, at, path, mode); }

int rename(const char *old, const char *new) {
  if (!below(new)) return syscall(SYS_renameat2, AT_FDCWD, old, AT_FDCWD, new, 0);
  int what = enter('R');
  if (what == FAIL) return refuse();
  CALL(SYS_renameat2, AT_FDCWD, old, AT_FDCWD, new, 0);
  if (!result) note('R', 0, -1, 0, old, new, NULL, 0);
  return leave(what, result, error);
}
int renameat(int at, const char *old, int to, const char *new) {
  if (below(old)) return rename(old, new);
  return syscall(SYS_renameat2, at, old, to, new, 0);
}
