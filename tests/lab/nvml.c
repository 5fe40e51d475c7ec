/* A played NVML: the entry points that servelab calls, with the signatures of NVIDIA's nvml.h, over devices that do not
 * exist. Their number and what is used of them stand in the file that NVML_PLAYED names, a line of bytes for each, and
 * are read anew at each call; one of which all is used up and more is lost. Devices 2k and 2k+1 are linked by NVLink, four share a socket. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct { int index; } device_t;
typedef struct { unsigned long long total, free, used; } memory_t;
typedef struct { unsigned int version; unsigned long long total, reserved, free, used; } memory_v2_t;
typedef struct { unsigned int gpu, memory; } utilization_t;

static device_t devices[16];
static const unsigned long long TOTAL = 102625181696ULL; /* 97,871 MiB, of an H20 */

static int used(unsigned long long *bytes) {
    FILE *file = fopen(getenv("NVML_PLAYED"), "r");
    int count = 0;
    if (!file) return 0;
    while (count < 16 && fscanf(file, "%llu", &bytes[count]) == 1) count++;
    fclose(file);
    return count;
}

int nvmlInitWithFlags(unsigned int flags) { (void)flags; return 0; }
int nvmlShutdown(void) { return 0; }
const char *nvmlErrorString(int code) { (void)code; return "played"; }

int nvmlDeviceGetCount_v2(unsigned int *count) {
    unsigned long long bytes[16];
    *count = used(bytes);
    return 0;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned int index, device_t **device) {
    unsigned long long bytes[16];
    used(bytes);
    if (bytes[index] > TOTAL) return 15; /* NVML_ERROR_GPU_IS_LOST */
    devices[index].index = index;
    *device = &devices[index];
    return 0;
}

int nvmlDeviceGetUUID(device_t *device, char *uuid, unsigned int length) {
    snprintf(uuid, length, "GPU-%08d-aaaa-bbbb-cccc-000000000000", device->index);
    return 0;
}

int nvmlDeviceGetName(device_t *device, char *name, unsigned int length) {
    (void)device;
    snprintf(name, length, "NVIDIA H20");
    return 0;
}

int nvmlDeviceGetMemoryInfo(device_t *device, memory_t *memory) {
    unsigned long long bytes[16];
    used(bytes);
    memory->total = TOTAL;
    memory->used = bytes[device->index];
    memory->free = TOTAL - memory->used;
    return 0;
}

int nvmlDeviceGetMemoryInfo_v2(device_t *device, memory_v2_t *memory) {
    unsigned long long bytes[16];
    used(bytes);
    memory->total = TOTAL;
    memory->reserved = 0;
    memory->used = bytes[device->index];
    memory->free = TOTAL - memory->used;
    return 0;
}

int nvmlDeviceGetUtilizationRates(device_t *device, utilization_t *rates) {
    (void)device;
    rates->gpu = 87;
    rates->memory = 40;
    return 0;
}

int nvmlDeviceGetPowerUsage(device_t *device, unsigned int *milliwatts) {
    *milliwatts = 400000 + 1000 * device->index;
    return 0;
}

int nvmlDeviceGetTemperature(device_t *device, int sensor, unsigned int *celsius) {
    (void)sensor;
    *celsius = 60 + device->index;
    return 0;
}

int nvmlDeviceGetP2PStatus(device_t *one, device_t *other, int what, int *status) {
    *status = what == 2 && one->index / 2 == other->index / 2 ? 0 : 5;
    return 0;
}

int nvmlDeviceGetTopologyCommonAncestor(device_t *one, device_t *other, unsigned int *level) {
    *level = one->index / 4 == other->index / 4 ? 30 : 50;
    return 0;
}
