import { requireAdmin } from '@tidemark/auth';
import type { Request, Semaphore, Serve } from '@tidemark/http';

/**
 * Serves the questions of operators, as many at one time as there are places.
 *
 * @param answer makes the JSON of the answer
 */
export function serveQuestions(
  places: Semaphore,
  answer: (request: Request) => Promise<object>,
): Serve {
  return async (request, response, principal) => {
    requireAdmin(principal);
    const release = places.acquire('all');
    try {
      response.json(await answer(request));
    } finally {
      release();
    }
  };
}
