// SPDX-License-Identifier: Apache-2.0
#include "even.h"

#include <math.h>

/* Upper regularised gamma function Q(a, x), by its series or its continued fraction (Lentz). */
static double gamma_q(double a, double x)
{
	double front = exp(-x + a * log(x) - lgamma(a));

	if (x < a + 1) {
		double sum = 1 / a, term = sum;

		for (unsigned i = 1; i < 500 && term > sum * 1e-12; i++) {
			term *= x / (a + i);
			sum += term;
		}
		return 1 - sum * front;
	} else {
		double b = x + 1 - a, c = 1e300, d = 1 / b, h = d;

		for (unsigned i = 1; i < 500; i++) {
			double an = -(double)i * (i - a), step;

			b += 2;
			d = 1 / (an * d + b);
			c = b + an / c;
			step = c * d;
			h *= step;
			if (fabs(step - 1) < 1e-12)
				break;
		}
		return front * h;
	}
}

double wr_even_p(const uint64_t *n, unsigned k)
{
	double sum = 0, each, chi = 0;

	for (unsigned i = 0; i < k; i++)
		sum += (double)n[i];
	each = k ? sum / k : 0;
	if (k < 2 || each < 5)
		return -1;
	for (unsigned i = 0; i < k; i++)
		chi += ((double)n[i] - each) * ((double)n[i] - each) / each;
	return chi > 0 ? fmin(fmax(gamma_q((k - 1) / 2.0, chi / 2), 0), 1) : 1;
}
