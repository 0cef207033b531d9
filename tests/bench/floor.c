/* What the kernel asks for the same work, and no more: the floors that scripts/bench divides by.
 *
 *   floor nothing             start and end of a static program
 *   floor event DIR           one durable event: two locks, log read, line appended, snapshot replaced; 3 syncs
 *   floor events DIR N        the same N times in one process, all on one task
 *   floor launch DIR          one event, then a supervisor left behind, a program of its own (`supervise`), which starts
 *                             `true` and writes a second event
 *   floor read DIR T          every file of a directory read whole, by T threads
 *   floor tree FROM TO        a directory tree written again, file by file
 *   floor stamp FILE          the monotonic time in ns, into a file: an engine that says when it began
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void must(int ok, const char *what) {
    if (!ok) {
        perror(what);
        _exit(1);
    }
}

static int open_at(int dir, const char *name, int flags) {
    int fd = openat(dir, name, flags | O_CLOEXEC, 0600);
    must(fd >= 0, name);
    return fd;
}

static void event(int dir) {
    static char line[300], snapshot[900], old[1 << 16];
    memset(line, 'x', sizeof line - 1);
    line[sizeof line - 1] = '\n';
    memset(snapshot, 'y', sizeof snapshot);
    int locks[2] = {open_at(dir, "a.lock", O_RDWR | O_CREAT), open_at(dir, "b.lock", O_RDWR | O_CREAT)};
    for (int i = 0; i < 2; i++)
        must(flock(locks[i], LOCK_EX) == 0, "flock");
    int log = open_at(dir, "log", O_RDWR | O_CREAT | O_APPEND);
    must(pread(log, old, sizeof old, 0) >= 0, "read");
    must(write(log, line, sizeof line) == sizeof line && fdatasync(log) == 0, "append");
    char name[32];
    snprintf(name, sizeof name, ".tmp.%d", getpid());
    int tmp = open_at(dir, name, O_WRONLY | O_CREAT | O_EXCL);
    must(write(tmp, snapshot, sizeof snapshot) == sizeof snapshot && fsync(tmp) == 0, "snapshot");
    must(renameat(dir, name, dir, "snapshot") == 0 && fsync(dir) == 0, "rename");
    close(tmp);
    close(log);
    close(locks[1]);
    close(locks[0]);
}

/* The parent's part is what `worker run` costs the caller; the rest runs on behind it. */
static void launch(int dir, const char *directory_name) {
    event(dir);
    if (fork() == 0) {
        setsid();
        if (fork() == 0)
            execl("/proc/self/exe", "floor", "supervise", directory_name, (char *)NULL);
        _exit(0);
    }
    wait(NULL);
}

static void supervise(int dir) {
    if (fork() == 0)
        execl("/bin/true", "true", (char *)NULL);
    wait(NULL);
    event(dir);
}

static char (*names)[64];
static int count, threads, directory;

static void *read_share(void *arg) {
    static __thread char buffer[1 << 16];
    for (int i = (int)(long)arg; i < count; i += threads) {
        int fd = open_at(directory, names[i], O_RDONLY);
        must(read(fd, buffer, sizeof buffer) >= 0, names[i]);
        close(fd);
    }
    return NULL;
}

static void read_all(const char *path, int number) {
    DIR *stream = opendir(path);
    must(stream != NULL, path);
    directory = dirfd(stream);
    threads = number;
    int room = 0;
    for (struct dirent *entry; (entry = readdir(stream));) {
        if (entry->d_name[0] == '.' || strlen(entry->d_name) >= 64)
            continue;
        if (count == room)
            names = realloc(names, (room = room ? room * 2 : 1024) * sizeof *names);
        strcpy(names[count++], entry->d_name);
    }
    pthread_t others[64];
    for (long i = 1; i < threads; i++)
        pthread_create(&others[i], NULL, read_share, (void *)i);
    read_share(0);
    for (int i = 1; i < threads; i++)
        pthread_join(others[i], NULL);
}

static const char *from, *to;

static int copy(const char *path, const struct stat *status, int type, struct FTW *where) {
    static char target[4096], buffer[1 << 20];
    (void)where;
    snprintf(target, sizeof target, "%s%s", to, path + strlen(from));
    if (type == FTW_D)
        return mkdir(target, 0755) != 0 && target[strlen(to)] != 0;
    int in = open_at(AT_FDCWD, path, O_RDONLY), out = open_at(AT_FDCWD, target, O_WRONLY | O_CREAT);
    ssize_t size = read(in, buffer, sizeof buffer);
    must(size >= 0 && write(out, buffer, (size_t)size) == size && size == status->st_size, target);
    close(in);
    close(out);
    return 0;
}

static void stamp(const char *path) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    FILE *file = fopen(path, "w");
    must(file != NULL, path);
    fprintf(file, "%lld\n", time.tv_sec * 1000000000LL + time.tv_nsec);
    fclose(file);
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    if (!strcmp(what, "nothing"))
        return 0;
    if (argc < 3)
        return 2;
    if (!strcmp(what, "stamp"))
        return stamp(argv[2]), 0;
    if (!strcmp(what, "read"))
        return read_all(argv[2], atoi(argv[3])), 0;
    if (!strcmp(what, "tree"))
        return from = argv[2], to = argv[3], nftw(from, copy, 64, FTW_PHYS);
    int dir = open_at(AT_FDCWD, argv[2], O_RDONLY | O_DIRECTORY);
    if (!strcmp(what, "event"))
        event(dir);
    else if (!strcmp(what, "launch"))
        launch(dir, argv[2]);
    else if (!strcmp(what, "supervise"))
        supervise(dir);
    else if (!strcmp(what, "events"))
        for (int i = atoi(argv[3]); i > 0; i--)
            event(dir);
    else
        return 2;
    return 0;
}
