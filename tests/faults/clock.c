/* A wall clock that goes wrong, for LD_PRELOAD: as many seconds off as the file WRONG_BY says at the moment. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t right, *wrong_by = &right;
static int (*real)(clockid_t, struct timespec *);

__attribute__((constructor)) static void begin(void)
{
	int file = open(getenv("WRONG_BY"), O_RDONLY);
	void *seen = mmap(0, sizeof right, PROT_READ, MAP_SHARED, file, 0);

	real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
	if (seen != MAP_FAILED)
		wrong_by = seen;
	close(file);
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
	int result;

	if (!real)
		begin();
	result = real(clock, now);
	if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)
		now->tv_sec += *wrong_by;
	return result;
}

int gettimeofday(struct timeval *now, void *zone)
{
	struct timespec exact;
	int result = clock_gettime(CLOCK_REALTIME, &exact);

	(void)zone;
	now->tv_sec = exact.tv_sec;
	now->tv_usec = exact.tv_nsec / 1000;
	return result;
}

time_t time(time_t *told)
{
	struct timespec exact;

	clock_gettime(CLOCK_REALTIME, &exact);
	if (told)
		*told = exact.tv_sec;
	return exact.tv_sec;
}
