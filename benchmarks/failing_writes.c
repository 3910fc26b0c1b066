/* Preloaded (LD_PRELOAD): calls that write to regular files are counted, and fail from a given one on.

   Counted are the creation of a file or a folder, writes, truncation, flushing and renaming, by
   Python and by C libraries alike. Standard output and error are left alone. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static long count, at = -1;
static int number, forever, counting;

/* Fail call number `first`, from 1, with this errno; `ever`: and every later one. 0: only count. */
void failing_arm(long first, int error, int ever)
{
    count = 0, at = first, number = error, forever = ever, counting = 1;
}

long failing_disarm(void) { counting = 0; return count; }

static int fails(void)
{
    if (!counting)
        return 0;
    count++;
    if (at <= 0 || count < at || (count > at && !forever))
        return 0;
    errno = number;
    return 1;
}

static int kept(int fd)
{
    struct stat is;
    return counting && fd > 2 && fstat(fd, &is) == 0 && S_ISREG(is.st_mode);
}

static int creates(const char *path, int flags)
{
    return counting && flags & (O_CREAT | O_TRUNC) && strncmp(path, "/dev/", 5) && strncmp(path, "/proc/", 6);
}

#define REAL(name) \
    static __typeof__(&name) real; \
    if (!real) real = (__typeof__(&name)) dlsym(RTLD_NEXT, #name)

#define MODE(mode, last, flags) \
    mode_t mode = 0; \
    if (flags & (O_CREAT | O_TMPFILE)) { va_list more; va_start(more, last); mode = va_arg(more, mode_t); va_end(more); }

#define OPEN(name) \
    int name(const char *path, int flags, ...) \
    { REAL(name); MODE(mode, flags, flags) return creates(path, flags) && fails() ? -1 : real(path, flags, mode); }
#define OPENAT(name) \
    int name(int fd, const char *path, int flags, ...) \
    { REAL(name); MODE(mode, flags, flags) return creates(path, flags) && fails() ? -1 : real(fd, path, flags, mode); }
#define ON(type, name, parameters, ...) \
    type name parameters { REAL(name); return kept(fd) && fails() ? -1 : real(__VA_ARGS__); }
#define ALWAYS(name, parameters, ...) \
    int name parameters { REAL(name); return fails() ? -1 : real(__VA_ARGS__); }

OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)
ON(ssize_t, write, (int fd, const void *data, size_t n), fd, data, n)
ON(ssize_t, pwrite, (int fd, const void *data, size_t n, off_t to), fd, data, n, to)
ON(ssize_t, pwrite64, (int fd, const void *data, size_t n, off64_t to), fd, data, n, to)
ON(ssize_t, writev, (int fd, const struct iovec *data, int n), fd, data, n)
ON(ssize_t, copy_file_range, (int from, off64_t *a, int fd, off64_t *b, size_t n, unsigned flags), from, a, fd, b, n, flags)
ON(int, ftruncate, (int fd, off_t length), fd, length)
ON(int, ftruncate64, (int fd, off64_t length), fd, length)
ON(int, fsync, (int fd), fd)
ON(int, fdatasync, (int fd), fd)
int mkdir(const char *path, mode_t mode)
{
    REAL(mkdir);
    return counting && access(path, F_OK) && fails() ? -1 : real(path, mode); /* unless it is there */
}
ALWAYS(rename, (const char *from, const char *to), from, to)
ALWAYS(renameat, (int a, const char *from, int b, const char *to), a, from, b, to)

size_t fwrite(const void *data, size_t size, size_t n, FILE *file)
{
    REAL(fwrite);
    return kept(fileno(file)) && fails() ? 0 : real(data, size, n, file);
}
