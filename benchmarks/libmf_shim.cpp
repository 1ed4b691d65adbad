// One function around LIBMF for ctypes: factorise entries in memory, hand the factors back in X and Y.
#include "mf.h"
#include <algorithm>

extern "C" int libmf_fit(int users, int items, long long n, mf::mf_node *entries, int d, int threads, int epochs,
                         float eta, float lambda, float *X, float *Y) {
    mf::mf_problem problem{users, items, n, entries};
    mf::mf_parameter options = mf::mf_get_default_param();
    options.k = d;
    options.nr_threads = threads;
    options.nr_iters = epochs;
    options.eta = eta;
    options.lambda_p1 = options.lambda_q1 = 0;
    options.lambda_p2 = options.lambda_q2 = lambda;
    options.quiet = true;
    mf::mf_model *model = mf::mf_train(&problem, options);
    if (!model) return 1;
    for (int u = 0; u < users; ++u) std::copy_n(model->P + (long long)u * model->k, d, X + (long long)u * d);
    for (int i = 0; i < items; ++i) std::copy_n(model->Q + (long long)i * model->k, d, Y + (long long)i * d);
    mf::mf_destroy_model(&model);
    return 0;
}
