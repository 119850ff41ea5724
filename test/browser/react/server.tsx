import { StrictMode, version } from 'react';
import { renderToString } from 'react-dom/server';
import { App, type AppProps } from './apps.tsx';

/** The page as a server makes it. */
export function render(props: AppProps): string {
  return renderToString(
    <StrictMode>
      <App {...props} />
    </StrictMode>,
  );
}

export { version };
