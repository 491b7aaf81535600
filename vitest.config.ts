import { defineConfig } from 'vitest/config'

// `outside` needs programs from Debian; everything else needs only Node.
export default defineConfig({
  test: {
    testTimeout: 30_000,
    hookTimeout: 60_000,
    maxWorkers: 2,
    projects: [
      {
        extends: true,
        test: { name: 'own', include: ['test/**/*.test.ts'], exclude: ['test/outside/**', 'test/faults/**'] },
      },
      {
        extends: true,
        test: { name: 'faults', include: ['test/faults/**/*.test.ts'], testTimeout: 120_000, fileParallelism: false },
      },
      {
        extends: true,
        test: {
          name: 'outside',
          include: ['test/outside/**/*.test.ts'],
          globalSetup: 'test/helpers/programs.ts',
          testTimeout: 60_000,
          fileParallelism: false,
        },
      },
    ],
  },
})
