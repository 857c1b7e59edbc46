import { ormConfig } from './database/orm-config.ts';
import { settingsSchema } from './lib/settings/config.ts';

const { DATABASE_URL } = settingsSchema.pick({ DATABASE_URL: true }).parse(process.env);

/** For MikroORM's command line: `npm run migration:create`, `npm run migration:check`. */
export default ormConfig(DATABASE_URL);
