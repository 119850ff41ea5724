import { expect, test } from 'vitest';
import { Random } from '../../../../test/simulation/random.ts';
import { Members } from './members.ts';

test('members: added and deleted in any order: as a set has them', () => {
  const random = new Random(17);
  const all = Array.from({ length: 4 }, (_, index) => ({ index }));
  for (let round = 0; round < 500; round++) {
    const members = new Members<object>();
    const set = new Set<object>();
    for (let step = 0; step < 12; step++) {
      const member = random.pick(all);
      if (random.chance(0.5)) {
        members.add(member);
        set.add(member);
      } else {
        expect(members.delete(member)).toBe(set.delete(member));
      }
      expect(members.size).toBe(set.size);
      expect([...members.values()]).toEqual([...set]);
    }
  }
});
