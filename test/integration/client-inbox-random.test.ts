import type { Inbox } from '@tidemark/client/inbox';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { randomFrom } from '../simulation/random.ts';
import { type System, startSystem } from '../support/system.ts';
import { Devices } from './client-inbox-setup.ts';
import { INBOX_SCOPE, publishItem } from './inbox-setup.ts';

/*
 * Devices of one user that do what they like at the same time, while events come. Every so often all is quiet, and each
 * must show exactly what the service answers. `INBOX_SEED=7` chooses another run.
 */

const SEED = Number(process.env.INBOX_SEED ?? 1);
const STEPS = 400;
const QUIET_STEPS = 40;
const NAME = 'random';
const TOPICS = [`user.${NAME}.a`, `user.${NAME}.b`, 'news.x', 'news.y', 'user.bob.a'];
const PATTERNS = ['news.>', 'news.x', `user.${NAME}.b`, 'user.bob.*'];
const SNOOZE_MS = 1500;
