import type { CSSProperties } from 'react';

/** The parts of a bell that a style sheet can name: each has its name as `data-part`. */
export type BellPart =
  | 'root'
  | 'button'
  | 'count'
  | 'announcement'
  | 'dialog'
  | 'title'
  | 'readAll'
  | 'close'
  | 'list'
  | 'item'
  | 'older'
  | 'message';

/** Further class names of the parts. */
export type BellClassNames = Partial<Record<BellPart, string>>;

/** What every part has. */
export type PartProps = (name: BellPart) => { 'data-part': BellPart; className?: string };

export function partsWith(classNames: BellClassNames): PartProps {
  return (name) => {
    const className = classNames[name];
    return { 'data-part': name, ...(className !== undefined && { className }) };
  };
}

/** Screen readers say it, and nobody sees it. */
export const UNSEEN: CSSProperties = {
  position: 'absolute',
  width: 1,
  height: 1,
  margin: -1,
  overflow: 'hidden',
  clipPath: 'inset(50%)',
  whiteSpace: 'nowrap',
};
