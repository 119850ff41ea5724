import { type JsonSchema, jsonOf } from '@tidemark/protocol';
import { z } from 'zod';

/** Where a document keeps the schemas that have a name. */
const COMPONENTS = '#/components/schemas/';

/** The JSON Schemas of one document. A schema with an `id` in its `meta` is kept once, under that name. */
export class JsonSchemas {
  readonly #components = new Map<string, JsonSchema>();
  /** What was asked for before: each answer of each operation asks for the errors. */
  readonly #made = new Map<z.ZodType, JsonSchema>();

  /** Turns a zod schema into the JSON Schema of what is sent, with references to the named ones. */
  of(schema: z.ZodType): JsonSchema {
    const made = this.#made.get(schema) ?? this.#make(schema);
    this.#made.set(schema, made);
    return made;
  }

  #make(schema: z.ZodType): JsonSchema {
    const made = z.toJSONSchema(schema, {
      io: 'input',
      unrepresentable: 'any',
      override: ({ zodSchema, jsonSchema }) => {
        // Of the type in TypeScript; in OpenAPI it would mean something else.
        delete jsonSchema.readOnly;
        const json = jsonOf(zodSchema);
        // What zod merged from the metadata.
        delete jsonSchema.json;
        if (!json) return;
        for (const name of Object.keys(jsonSchema)) delete jsonSchema[name];
        Object.assign(jsonSchema, json);
      },
    });
    const { $schema, $defs = {}, ...json } = made;
    for (const [name, one] of Object.entries($defs)) {
      this.#components.set(name, moved(one) as JsonSchema);
    }
    return moved(json) as JsonSchema;
  }

  /** The named ones, by name. */
  get components(): Readonly<Record<string, JsonSchema>> {
    return Object.fromEntries(
      [...this.#components].sort(([left], [right]) => (left < right ? -1 : 1)),
    );
  }
}

/** The same with references to where the document keeps what they name. */
function moved(json: unknown): unknown {
  if (Array.isArray(json)) return json.map(moved);
  if (typeof json !== 'object' || json === null) return json;
  return Object.fromEntries(
    Object.entries(json).map(([name, value]) => [
      name,
      name === '$ref' ? String(value).replace('#/$defs/', COMPONENTS) : moved(value),
    ]),
  );
}
