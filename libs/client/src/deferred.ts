/** `Promise.withResolvers`, which older browsers lack. Nobody has to wait for the promise. */
export function deferred(): {
  promise: Promise<void>;
  resolve: () => void;
  reject: (reason: Error) => void;
} {
  let resolve = () => {};
  let reject: (reason: Error) => void = resolve;
  const promise = new Promise<void>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  promise.catch(() => undefined);
  return { promise, resolve, reject };
}
