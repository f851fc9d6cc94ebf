/* env_gpu.c — the GPU as NVML sees it. NVML is loaded at run time: a CPU-only machine has none, and everything is "unknown".
   Declarations after NVIDIA's nvml.h; each function may be missing from an old driver. */
#include "harness/env.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

typedef struct nvml_device *nvml_device;
typedef int (*nvml_plain)(void);
typedef int (*nvml_index)(unsigned index, nvml_device *device);
typedef int (*nvml_address)(const char *bus_id, nvml_device *device);
typedef int (*nvml_text)(nvml_device device, char *text, unsigned size);
typedef int (*nvml_system_text)(char *text, unsigned size);
typedef int (*nvml_system_int)(int *value);
typedef int (*nvml_unsigned)(nvml_device device, unsigned *value);
typedef int (*nvml_select)(nvml_device device, int which, unsigned *value);
typedef int (*nvml_modes)(nvml_device device, unsigned *now, unsigned *after_reboot);
typedef int (*nvml_long)(nvml_device device, unsigned long long *value);
enum { CLOCK_SM = 1, CLOCK_MEM = 2, SENSOR_GPU = 0 };
struct nvml_memory { /* nvmlMemory_t, bytes */
    unsigned long long total, free, used;
};
typedef int (*nvml_memory_info)(nvml_device device, struct nvml_memory *memory);
struct nvml_cc_state { /* nvmlConfComputeSystemState_t; feature: 0 off, 1 on */
    unsigned environment, feature, dev_tools;
};
typedef int (*nvml_cc)(struct nvml_cc_state *state);

/* Set by ss_env_collect_gpu, constant afterwards. */
static nvml_device device;
static nvml_long total_energy;
static nvml_select clock_info;

/* The device that CUDA calls 0, by its PCI address, if this program is linked with the CUDA runtime. */
static nvml_device find_device(void *nvml, const char *backend)
{
    nvml_device found = NULL;
    char bus[32] = "";
    int (*cuda_bus)(char *, int, int) = (int (*)(char *, int, int))dlsym(RTLD_DEFAULT, "cudaDeviceGetPCIBusId");
    nvml_address by_address = (nvml_address)dlsym(nvml, "nvmlDeviceGetHandleByPciBusId_v2");
    nvml_index by_index = (nvml_index)dlsym(nvml, "nvmlDeviceGetHandleByIndex_v2");
    if (strcmp(backend, "cuda") == 0 && cuda_bus && by_address && cuda_bus(bus, sizeof bus, 0) == 0 &&
        by_address(bus, &found) == 0)
        return found;
    return by_index && by_index(0, &found) == 0 ? found : NULL;
}

static enum ss_err add_text(struct ss_pairs *env, const char *key, void *nvml, const char *symbol)
{
    char text[128] = "";
    nvml_text get = nvml && device ? (nvml_text)dlsym(nvml, symbol) : NULL;
    bool known = get && get(device, text, sizeof text) == 0;
    return ss_pairs_add(env, key, "%s", known ? text : "unknown");
}

/* Numbers of the device. kind: how the function is called; `which` selects a clock or a sensor. */
enum kind { NUMBER, SELECT, MODE, BITS };
static const struct {
    const char *key, *symbol, *format;
    enum kind kind;
    int which;
} numbers[] = {
    {"gpu_sm_clock", "nvmlDeviceGetClockInfo", "%llu MHz", SELECT, CLOCK_SM},
    {"gpu_mem_clock", "nvmlDeviceGetClockInfo", "%llu MHz", SELECT, CLOCK_MEM},
    {"gpu_sm_clock_max", "nvmlDeviceGetMaxClockInfo", "%llu MHz", SELECT, CLOCK_SM},
    {"gpu_mem_clock_max", "nvmlDeviceGetMaxClockInfo", "%llu MHz", SELECT, CLOCK_MEM},
    {"gpu_power_limit", "nvmlDeviceGetEnforcedPowerLimit", "%llu mW", NUMBER, 0},
    {"gpu_power", "nvmlDeviceGetPowerUsage", "%llu mW", NUMBER, 0},
    {"gpu_temperature", "nvmlDeviceGetTemperature", "%llu C", SELECT, SENSOR_GPU},
    {"gpu_ecc", "nvmlDeviceGetEccMode", "%llu", MODE, 0},
    {"gpu_mig", "nvmlDeviceGetMigMode", "%llu", MODE, 0},
    {"gpu_persistence", "nvmlDeviceGetPersistenceMode", "%llu", NUMBER, 0},
    {"gpu_throttle_reasons", "nvmlDeviceGetCurrentClocksThrottleReasons", "0x%llx", BITS, 0},
    {"gpu_energy", "nvmlDeviceGetTotalEnergyConsumption", "%llu mJ", BITS, 0},
};

static bool get_number(unsigned long long *out, void *symbol, enum kind kind, int which)
{
    unsigned value = 0, later = 0;
    if (!symbol || !device)
        return false;
    if (kind == BITS)
        return ((nvml_long)symbol)(device, out) == 0;
    bool ok = kind == NUMBER   ? ((nvml_unsigned)symbol)(device, &value) == 0
              : kind == SELECT ? ((nvml_select)symbol)(device, which, &value) == 0
                               : ((nvml_modes)symbol)(device, &value, &later) == 0;
    *out = value;
    return ok;
}

static enum ss_err add_numbers(struct ss_pairs *env, void *nvml)
{
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        unsigned long long value = 0;
        char text[48] = "unknown";
        if (get_number(&value, nvml ? dlsym(nvml, numbers[i].symbol) : NULL, numbers[i].kind, numbers[i].which))
            snprintf(text, sizeof text, numbers[i].format, value);
        SS_TRY(ss_pairs_add(env, numbers[i].key, "%s", text));
    }
    nvml_memory_info memory_info = nvml && device ? (nvml_memory_info)dlsym(nvml, "nvmlDeviceGetMemoryInfo") : NULL;
    struct nvml_memory memory = {0};
    bool known = memory_info && memory_info(device, &memory) == 0;
    SS_TRY(ss_pairs_add(env, "gpu_memory_bytes", known ? "%llu" : "unknown", memory.total));
    nvml_cc cc = nvml ? (nvml_cc)dlsym(nvml, "nvmlSystemGetConfComputeState") : NULL;
    struct nvml_cc_state state = {0};
    known = cc && cc(&state) == 0;
    return ss_pairs_add(env, "gpu_cc_mode", "%s", !known ? "unknown" : state.feature ? "on" : "off");
}

/* 13000 -> "13.0"; "none" for 0. */
static enum ss_err add_cuda_version(struct ss_pairs *env, const char *key, int version, const char *absent)
{
    if (version <= 0)
        return ss_pairs_add(env, key, "%s", absent);
    return ss_pairs_add(env, key, "%d.%d", version / 1000, version % 1000 / 10);
}

/* The driver by NVML; runtime and cuBLASLt only if this program is linked with them, else "none". */
static enum ss_err add_software(struct ss_pairs *env, void *nvml)
{
    char driver[96] = "";
    int supported = 0, runtime = 0;
    nvml_system_text get_driver = nvml ? (nvml_system_text)dlsym(nvml, "nvmlSystemGetDriverVersion") : NULL;
    nvml_system_int get_supported = nvml ? (nvml_system_int)dlsym(nvml, "nvmlSystemGetCudaDriverVersion_v2") : NULL;
    int (*get_runtime)(int *) = (int (*)(int *))dlsym(RTLD_DEFAULT, "cudaRuntimeGetVersion");
    size_t (*get_cublas)(void) = (size_t(*)(void))dlsym(RTLD_DEFAULT, "cublasLtGetVersion");
    bool known = get_driver && get_driver(driver, sizeof driver) == 0;
    SS_TRY(ss_pairs_add(env, "gpu_driver", "%s", known ? driver : "unknown"));
    if (get_supported && get_supported(&supported) != 0)
        supported = 0;
    SS_TRY(add_cuda_version(env, "cuda_driver", supported, "unknown"));
    if (get_runtime && get_runtime(&runtime) != 0)
        runtime = 0;
    SS_TRY(add_cuda_version(env, "cuda_runtime", runtime, get_runtime ? "unknown" : "none"));
    return ss_pairs_add(env, "cuda_cublaslt", get_cublas ? "%zu" : "none", get_cublas ? get_cublas() : 0);
}

enum ss_err ss_env_collect_gpu(struct ss_pairs *env, const char *backend)
{
    void *nvml = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL); /* never closed: the helpers below go on using it */
    nvml_plain init = nvml ? (nvml_plain)dlsym(nvml, "nvmlInit_v2") : NULL;
    if (!init || init() != 0)
        nvml = NULL;
    device = nvml ? find_device(nvml, backend) : NULL;
    total_energy = nvml ? (nvml_long)dlsym(nvml, "nvmlDeviceGetTotalEnergyConsumption") : NULL;
    clock_info = nvml ? (nvml_select)dlsym(nvml, "nvmlDeviceGetClockInfo") : NULL;
    SS_TRY(add_text(env, "gpu", nvml, "nvmlDeviceGetName"));
    SS_TRY(add_text(env, "gpu_uuid", nvml, "nvmlDeviceGetUUID"));
    SS_TRY(add_software(env, nvml));
    return add_numbers(env, nvml);
}

int64_t ss_env_gpu_energy_mj(void)
{
    unsigned long long value = 0;
    return device && total_energy && total_energy(device, &value) == 0 ? (int64_t)value : -1;
}

int64_t ss_env_gpu_clock(void)
{
    unsigned value = 0;
    return device && clock_info && clock_info(device, CLOCK_SM, &value) == 0 ? (int64_t)value : -1;
}
