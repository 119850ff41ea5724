import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: { include: ['test/fuzz/campaign.ts'], pool: 'forks', hookTimeout: 60_000 },
});
