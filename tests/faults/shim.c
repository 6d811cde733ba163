/* Fails, or kills the process, at the n-th call that opens, writes, renames, flushes or removes something in a folder.
 *
 * Loaded by LD_PRELOAD and armed by `faults_arm`. Only paths below the folder count, and files that were opened there.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { IO_ERROR, FULL, KILLED };  /* FULL: from the n-th call on; KILLED: half of a write is done */
enum { FILES = 65536 };

static char root[PATH_MAX];
static size_t root_length;
static long count, target;
static int armed, mode;
static char below[FILES];

void faults_arm(const char *folder, long at, int how) {
    strncpy(root, folder, sizeof root - 1);
    root_length = strlen(root);
    count = 0, target = at, mode = how;
    memset(below, 0, sizeof below);
    armed = 1;
}

long faults_disarm(void) {
    armed = 0;
    return count;
}

#define REAL(name) __typeof__(name) *real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

static int is_file_below(int file) { return file >= 0 && file < FILES && below[file]; }

static int is_below(int folder, const char *path) {
    char here[2 * PATH_MAX];
    if (!armed || !path) return 0;
    if (path[0] != '/') {
        if (folder != AT_FDCWD) return is_file_below(folder);
        if (!getcwd(here, PATH_MAX)) return 0;
        strcat(here, "/");
        strncat(here, path, PATH_MAX - 1);
        path = here;
    }
    return !strncmp(path, root, root_length) && (path[root_length] == '/' || !path[root_length]);
}

/* Count a call; return whether it must fail, with errno set. `grows` tells whether it needs room on the disk. */
static int fails(int grows) {
    long now = __atomic_add_fetch(&count, 1, __ATOMIC_SEQ_CST);
    if (mode == FULL ? now < target || !grows : now != target) return 0;
    if (mode == KILLED) {
        kill(getpid(), SIGKILL);
        for (;;) pause();
    }
    errno = mode == FULL ? ENOSPC : EIO;
    return 1;
}

static int opened(int file) {
    if (file >= 0 && file < FILES) below[file] = 1;
    return file;
}

#define OPEN(name, parameters, folder, call)                                  \
    int name parameters {                                                     \
        va_list more;                                                         \
        va_start(more, flags);                                                \
        mode_t rights = (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(more, mode_t) : 0; \
        va_end(more);                                                         \
        REAL(name);                                                           \
        if (!is_below(folder, path)) return real call;                        \
        if (fails(flags & O_CREAT)) return -1;                                \
        return opened(real call);                                             \
    }

OPEN(open, (const char *path, int flags, ...), AT_FDCWD, (path, flags, rights))
OPEN(open64, (const char *path, int flags, ...), AT_FDCWD, (path, flags, rights))
OPEN(openat, (int folder, const char *path, int flags, ...), folder, (folder, path, flags, rights))
OPEN(openat64, (int folder, const char *path, int flags, ...), folder, (folder, path, flags, rights))

int close(int file) {
    REAL(close);
    if (file >= 0 && file < FILES) below[file] = 0;
    return real(file);
}

/* Half of a write reaches the disk where the process is killed in it. */
static int tears(void) { return mode == KILLED && armed && __atomic_load_n(&count, __ATOMIC_SEQ_CST) + 1 == target; }

ssize_t write(int file, const void *content, size_t size) {
    REAL(write);
    if (armed && is_file_below(file)) {
        if (tears()) real(file, content, size / 2);
        if (fails(1)) return -1;
    }
    return real(file, content, size);
}

ssize_t pwrite64(int file, const void *content, size_t size, off64_t at) {
    REAL(pwrite64);
    if (armed && is_file_below(file)) {
        if (tears()) real(file, content, size / 2, at);
        if (fails(1)) return -1;
    }
    return real(file, content, size, at);
}

ssize_t writev(int file, const struct iovec *pieces, int number) {
    REAL(writev);
    if (armed && is_file_below(file)) {
        if (tears()) real(file, pieces, number / 2);
        if (fails(1)) return -1;
    }
    return real(file, pieces, number);
}

#define ON_FILE(name)                                              \
    int name(int file) {                                           \
        REAL(name);                                                \
        if (armed && is_file_below(file) && fails(0)) return -1;   \
        return real(file);                                         \
    }

ON_FILE(fsync)
ON_FILE(fdatasync)

#define ON_PATH(name, parameters, test, grows, call)          \
    int name parameters {                                     \
        REAL(name);                                           \
        if (armed && (test) && fails(grows)) return -1;       \
        return real call;                                     \
    }

ON_PATH(mkdir, (const char *path, mode_t rights), is_below(AT_FDCWD, path), 1, (path, rights))
ON_PATH(mkdirat, (int folder, const char *path, mode_t rights), is_below(folder, path), 1, (folder, path, rights))
ON_PATH(rmdir, (const char *path), is_below(AT_FDCWD, path), 0, (path))
ON_PATH(unlink, (const char *path), is_below(AT_FDCWD, path), 0, (path))
ON_PATH(unlinkat, (int folder, const char *path, int flags), is_below(folder, path), 0, (folder, path, flags))
ON_PATH(link, (const char *one, const char *other), is_below(AT_FDCWD, other), 1, (one, other))
ON_PATH(linkat, (int a, const char *one, int b, const char *other, int flags), is_below(b, other), 1, (a, one, b, other, flags))
ON_PATH(rename, (const char *one, const char *other), is_below(AT_FDCWD, one) || is_below(AT_FDCWD, other), 1, (one, other))
ON_PATH(renameat, (int a, const char *one, int b, const char *other), is_below(a, one) || is_below(b, other), 1, (a, one, b, other))
ON_PATH(renameat2, (int a, const char *one, int b, const char *other, unsigned flags), is_below(a, one) || is_below(b, other), 1, (a, one, b, other, flags))
