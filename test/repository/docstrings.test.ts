import assert from 'node:assert';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { API, SymbolFlags } from 'typescript/unstable/sync';
import { expect, test } from 'vitest';

const LIBS = fileURLToPath(new URL('../../libs', import.meta.url));

test.each(readdirSync(LIBS))('docstrings: libs/%s: every export has one', (name) => {
  expect(exportsWithoutDocstring(join(LIBS, name))).toEqual([]);
});

function exportsWithoutDocstring(folder: string): string[] {
  const api = new API();
  try {
    const config = join(folder, 'tsconfig.json');
    const project = api.updateSnapshot({ openProjects: [config] }).getProject(config);
    assert(project, `${config} is not a project`);
    const { checker, program } = project;
    const index = program.getSourceFile(join(folder, 'src/index.ts'));
    const module = index && checker.getSymbolAtLocation(index);
    assert(module, `${folder}/src/index.ts exports nothing`);
    return checker
      .getExportsOfModule(module)
      .map((one) => (one.flags & SymbolFlags.Alias ? checker.getAliasedSymbol(one) : one))
      .filter((one) => checker.getDocumentationCommentOfSymbol(one) === '')
      .map(({ name }) => name);
  } finally {
    api.close();
  }
}
