import { Page } from '../../ui/page.tsx';
import { Tabs } from '../../ui/tabs.tsx';
import { Accounts } from './accounts.tsx';
import { AllInstances } from './all-instances.tsx';
import { Audit } from './audit.tsx';
import { Models } from './models.tsx';

const TABS = [
  ['instances', 'Instances'],
  ['accounts', 'Accounts'],
  ['models', 'Models'],
  ['audit', 'Audit'],
] as const;

/** What an operator sees of all accounts. */
export function OperatorPage({ tab }: { tab: string }) {
  return (
    <Page title="Operator">
      <Tabs base="/operator" tabs={TABS} at={tab} />
      {tab === 'instances' && <AllInstances />}
      {tab === 'accounts' && <Accounts />}
      {tab === 'models' && <Models />}
      {tab === 'audit' && <Audit />}
    </Page>
  );
}
