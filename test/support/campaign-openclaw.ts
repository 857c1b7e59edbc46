import { campaignRounds } from './campaign.ts';
import { installScriptedOpenClaw } from './stand-in-openclaw.ts';
import type { StandIn } from './stand-in-openclaw.ts';

/**
 * What a campaign starts as its gateways: in many rounds the real OpenClaw (undefined), in the one round of `npm test`
 * the scripted gateway, which shows the same and starts in a second.
 */
export async function installForCampaign(): Promise<StandIn | undefined> {
  return campaignRounds() > 1 ? undefined : installScriptedOpenClaw();
}
