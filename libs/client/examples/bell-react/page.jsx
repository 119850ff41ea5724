import { NotificationBell, TidemarkProvider, useStatus, useTidemark } from '@tidemark/client/react';
import { createRoot } from 'react-dom/client';

/* The notification bell in React: the component has no style of its own, and /style.css gives it one. */

const user = new URLSearchParams(location.search).get('user') ?? 'alice';
const options = {
  url: location.origin,
  token: () => fetch(`/token?user=${user}`).then((answer) => answer.text()),
};

function Page() {
  const tidemark = useTidemark();
  const { state } = useStatus();
  const send = () =>
    tidemark.publish({
      type: 'parcel.arrived',
      topic: `user.${user}.parcels`,
      data: { text: `A parcel came at ${new Date().toLocaleTimeString()}.` },
    });
  return (
    <>
      <p className="status" role="status">
        {state}
      </p>
      <NotificationBell
        renderItem={({ event }) => event.data.text}
        classNames={{ dialog: 'panel', count: 'badge' }}
      />
      <button type="button" onClick={send}>
        Notify me
      </button>
    </>
  );
}

createRoot(document.getElementById('root')).render(
  <TidemarkProvider options={options}>
    <Page />
  </TidemarkProvider>,
);
