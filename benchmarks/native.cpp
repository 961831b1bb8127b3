// The machine's limit for the arithmetic of a block, without the sparse part: one core, float32.
//
//   z = A^T h, g = ReLU(z), u += g A^T, dA += h g     A: (m + 1, n), h: (samples, m + 1)
//
// Everything about a (sample, feature) pair happens in registers, 3 (m + 1) multiply-adds a pair.
// Prints: billion fused multiply-adds a second at most, and billion pairs a second at m = 2, where
// a pair takes 9 of them.
// A benchmark only: the package neither needs nor ships it.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <vector>

constexpr int LANES = 16, FEATURES = 10'000, TILE = 2'000, SAMPLES = 1'024;
typedef float Vector __attribute__((vector_size(4 * LANES), aligned(4)));

double seconds_of(auto&& function) {
  auto now = [] { return std::chrono::steady_clock::now(); };
  double best = 1e9;
  for (int repeat = 0; repeat < 5; ++repeat) {
    auto begin = now();
    function();
    best = std::min(best, std::chrono::duration<double>(now() - begin).count());
  }
  return best;
}

volatile float sink;

double peak() {
  constexpr int CHAINS = 10, TIMES = 20'000'000;
  double seconds = seconds_of([] {
    Vector a{}, b{}, c{}, d{}, e{}, f{}, g{}, h{}, i{}, j{};
    const Vector by = Vector{} + 0.999f, plus = Vector{} + sink;
    for (int time = 0; time < TIMES; ++time) {
      a = a * by + plus, b = b * by + plus, c = c * by + plus, d = d * by + plus, e = e * by + plus;
      f = f * by + plus, g = g * by + plus, h = h * by + plus, i = i * by + plus, j = j * by + plus;
      asm("" : "+v"(a), "+v"(b), "+v"(c), "+v"(d), "+v"(e), "+v"(f), "+v"(g), "+v"(h), "+v"(i), "+v"(j));
    }
    sink = (a + b + c + d + e + f + g + h + i + j)[0];
  });
  return 1e-9 * CHAINS * LANES * TIMES / seconds;
}

template <int M>
double pairs() {
  constexpr int ROWS = M + 1, TOGETHER = 4;
  std::vector<float> A(ROWS * FEATURES, 0.01f), dA(A.size()), h(SAMPLES * ROWS, 0.5f), u(h.size());
  double seconds = seconds_of([&] {
    for (int from = 0; from < FEATURES; from += TILE)
      for (int s = 0; s < SAMPLES; s += TOGETHER) {
        Vector H[TOGETHER][ROWS], U[TOGETHER][ROWS]{};
        for (int b = 0; b < TOGETHER; ++b)
          for (int k = 0; k < ROWS; ++k) H[b][k] = Vector{} + h[(s + b) * ROWS + k];
        for (int f = from; f < from + TILE; f += LANES) {
          Vector a[ROWS], d[ROWS];
          for (int k = 0; k < ROWS; ++k) {
            a[k] = *reinterpret_cast<Vector*>(&A[k * FEATURES + f]);
            d[k] = *reinterpret_cast<Vector*>(&dA[k * FEATURES + f]);
          }
          for (int b = 0; b < TOGETHER; ++b) {
            Vector z = a[M];
            for (int k = 0; k < M; ++k) z += H[b][k] * a[k];
            Vector g = z > 0.0f ? z : Vector{};
            for (int k = 0; k < ROWS; ++k) {
              d[k] += H[b][k] * g;
              U[b][k] += a[k] * g;
            }
          }
          for (int k = 0; k < ROWS; ++k) *reinterpret_cast<Vector*>(&dA[k * FEATURES + f]) = d[k];
        }
        for (int b = 0; b < TOGETHER; ++b)
          for (int k = 0; k < ROWS; ++k)
            for (int lane = 0; lane < LANES; ++lane) u[(s + b) * ROWS + k] += U[b][k][lane];
      }
  });
  sink = dA[7] + u[3];
  return 1e-9 * SAMPLES * FEATURES / seconds;
}

int main() {
  std::printf("%g %g\n", peak(), pairs<2>());
}
