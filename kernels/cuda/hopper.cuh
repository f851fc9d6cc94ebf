/* hopper.cuh — the sm_90a instructions that gemm_wgmma.cu uses: mbarriers, TMA loads, wgmma on int8. PTX ISA 8.0. Addresses
   are 32-bit shared-memory addresses. */
#ifndef SS_HOPPER_CUH
#define SS_HOPPER_CUH

static __device__ __forceinline__ uint32_t shared_address(const void *p)
{
    return (uint32_t)__cvta_generic_to_shared(p);
}

static __device__ __forceinline__ void barrier_init(uint32_t barrier, uint32_t arrivals)
{
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals) : "memory");
}

/* After the inits, before the cluster meets: makes them visible to the other CTA and to TMA. */
static __device__ __forceinline__ void barrier_init_fence(void)
{
    asm volatile("fence.mbarrier_init.release.cluster;\n\tfence.proxy.async;" ::: "memory");
}

/* This thread's arrival, and how many bytes must land before the phase completes. */
static __device__ __forceinline__ void barrier_expect(uint32_t barrier, uint32_t bytes)
{
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes) : "memory");
}

/* Returns once the phase of this parity has completed; parity 1 of a fresh barrier counts as completed. */
static __device__ __forceinline__ void barrier_wait(uint32_t barrier, uint32_t parity)
{
    asm volatile("{\n\t.reg .pred done;\n"
                 "again:\n\t"
                 "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n\t"
                 "@done bra over;\n\t"
                 "bra again;\n"
                 "over:\n\t}" ::"r"(barrier),
                 "r"(parity)
                 : "memory");
}

/* Lanes 0 and 1 arrive at this barrier in CTA 0 and 1 of the cluster: the whole warp has read what it guards. */
static __device__ __forceinline__ void release_both(uint32_t barrier, int lane)
{
    __syncwarp();
    if (lane < 2)
        asm volatile("{\n\t.reg .b32 there;\n\t"
                     "mapa.shared::cluster.u32 there, %0, %1;\n\t"
                     "mbarrier.arrive.release.cluster.shared::cluster.b64 _, [there];\n\t}" ::"r"(barrier),
                     "r"(lane)
                     : "memory");
}

static __device__ __forceinline__ void cluster_sync(void)
{
    asm volatile("barrier.cluster.arrive.release;\n\tbarrier.cluster.wait.acquire;" ::: "memory");
}

/* Box at (row, k) of a 2-D map to `to`; its bytes count at `barrier`. Outside the tensor: zeros, which count too. */
static __device__ __forceinline__ void load(uint32_t to, const CUtensorMap *map, int k, int row, uint32_t barrier)
{
    asm volatile(
        "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], [%4];" ::"r"(to),
        "l"(map), "r"(k), "r"(row), "r"(barrier)
        : "memory");
}

/* Box at (plane, row, k) of a 3-D map to the same place in both CTAs of the cluster, counted at the barrier of each. */
static __device__ __forceinline__ void load_both(uint32_t to, const CUtensorMap *map, int k, int row, int plane,
                                                 uint32_t barrier)
{
    asm volatile(
        "cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%0], [%1, {%2, "
        "%3, %4}], [%5], %6;" ::"r"(to),
        "l"(map), "r"(k), "r"(row), "r"(plane), "r"(barrier), "h"((uint16_t)3)
        : "memory");
}

/* Matrix descriptor: K-major, 128-byte swizzle, 1024 B from one group of 8 rows to the next. `at` is 1024-byte aligned;
   32 bytes further along k is 2 more in the address field. */
static __device__ __forceinline__ uint64_t descriptor(uint32_t at)
{
    return (uint64_t)1 << 62 | (uint64_t)(1024 >> 4) << 32 | (uint64_t)1 << 16 | (at & 0x3ffff) >> 4;
}

static __device__ __forceinline__ void wgmma_fence(void)
{
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
static __device__ __forceinline__ void wgmma_commit(void)
{
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
template <int PENDING> static __device__ __forceinline__ void wgmma_wait(void)
{
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(PENDING) : "memory");
}

#define S0 "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15"
#define S1 S0 ",%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31"
#define S3                                                                                                                     \
    S1 ",%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,"     \
       "%60,%61,%62,%63"
#define S6                                                                                                                     \
    S3 ",%64,%65,%66,%67,%68,%69,%70,%71,%72,%73,%74,%75,%76,%77,%78,%79,%80,%81,%82,%83,%84,%85,%86,%87,%88,%89,%90,%91,"     \
       "%92,%93,%94,%95,%96,%97,%98,%99,%100,%101,%102,%103,%104,%105,%106,%107,%108,%109,%110,%111"
#define S7 S6 ",%112,%113,%114,%115,%116,%117,%118,%119,%120,%121,%122,%123,%124,%125,%126,%127"
#define R4(i) "+r"(d[i]), "+r"(d[i + 1]), "+r"(d[i + 2]), "+r"(d[i + 3])
#define R16(i) R4(i), R4(i + 4), R4(i + 8), R4(i + 12)
#define R32(i) R16(i), R16(i + 16)
#define R64(i) R32(i), R32(i + 32)
#define WGMMA(N, SUMS, A, B, KEEP, ...)                                                                                        \
    asm volatile("{\n\t.reg .pred keep;\n\tsetp.ne.b32 keep, " KEEP ", 0;\n\t"                                                 \
                 "wgmma.mma_async.sync.aligned.m64n" N "k32.s32.s8.s8 {" SUMS "}, " A ", " B ", keep;\n\t}"                    \
                 : __VA_ARGS__                                                                                                 \
                 : "l"(a), "l"(b), "r"(keep)                                                                                   \
                 : "memory")

/* d (64, 4 T) = a (64, 32) * b (4 T, 32)^T [+ d if keep]; int8, both from shared memory; asynchronous until wgmma_wait. */
template <int T> static __device__ __forceinline__ void wgmma(int (&d)[2 * T], uint64_t a, uint64_t b, int keep)
{
    static_assert(T == 8 || T == 16 || T == 32 || T == 56 || T == 64, "no such tile");
    if constexpr (T == 8)
        WGMMA("32", S0, "%16", "%17", "%18", R16(0));
    else if constexpr (T == 16)
        WGMMA("64", S1, "%32", "%33", "%34", R32(0));
    else if constexpr (T == 32)
        WGMMA("128", S3, "%64", "%65", "%66", R64(0));
    else if constexpr (T == 56)
        WGMMA("224", S6, "%112", "%113", "%114", R64(0), R32(64), R16(96));
    else
        WGMMA("256", S7, "%128", "%129", "%130", R64(0), R64(64));
}
#endif
