/** Colours of styles.css that lines have, in their order. */
export const LINE_COLORS = ['accent', 'second', 'third', 'good', 'warning', 'bad'] as const;
export type ColorName = (typeof LINE_COLORS)[number] | 'quiet' | 'line';
